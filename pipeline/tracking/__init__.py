"""MLflow; images for a person: pictures, films, folders of labelled images; two sets of results compared."""
