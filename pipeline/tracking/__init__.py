"""MLflow, and the images that a person is given: pictures, films, folders of labelled images."""
