"""The one exception for what a person can mend: shown as a single line, never as a traceback."""

RESULT_NEUTRAL = True


class UserError(Exception):
    """Names the key or the file, what was found, what was expected, and what to do; ends with `exit_code`."""

    exit_code = 1


class Interrupted(UserError):
    """SIGTERM arrived; what was done so far is saved."""

    exit_code = 143
