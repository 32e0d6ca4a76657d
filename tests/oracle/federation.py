"""Several searches in one request: side by side, or merged into one list."""


def multi_search(server, body):
    raise NotImplementedError
