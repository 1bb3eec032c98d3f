"""The course: exercises and the kinds of their answers, the headless notebook runner, and the site."""
