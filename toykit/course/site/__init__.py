"""The site: course, API reference, how-to pages and gallery as static pages, built by Sphinx and MyST-NB."""
