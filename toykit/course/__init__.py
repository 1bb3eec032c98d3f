"""The course: exercises and the kinds of their answers, the headless notebook runner, and the pages made of its results."""
