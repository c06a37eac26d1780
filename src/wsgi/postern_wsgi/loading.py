"""From `module:callable` to the application, or a text that says why there is none (conventions I-15, I-16).

The traceback shows the application's frames only: not ours, and not those of the import machinery.
"""

import difflib
import importlib
import traceback


class CannotLoad(Exception):
    """There is no application; its text has several lines."""


def load_application(spec):
    """The object that `spec` (`module:callable`, or `module` for its `application`) names."""
    module_name, _, attribute = spec.partition(":")
    attribute = attribute or "application"
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:
        raise CannotLoad(_import_failure(module_name, error)) from None
    found = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise CannotLoad(_missing(module, module_name, attribute))
        found = getattr(found, name)
    if not callable(found):
        kind = type(found).__name__
        raise CannotLoad(
            f"{spec} is no WSGI application: it is of type {kind}, which cannot be called. "
            + _callables(module, module_name)
        )
    return found


def _import_failure(module_name, error):
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    described = "".join(traceback.format_exception_only(type(error), error))
    lines = "".join(traceback.format_list(frames))
    head = "Traceback (most recent call last):\n" if frames else ""
    text = f"{head}{lines}{described}".rstrip()
    if isinstance(error, ModuleNotFoundError) and error.name == module_name.partition(".")[0]:
        text += f"\nThere is no {module_name}.py or package {module_name} in the directory or on sys.path."
    return f"{text}\nthe module {module_name} cannot be imported"


def _missing(module, module_name, attribute):
    similar = difflib.get_close_matches(attribute, _names_of_callables(module), n=1)
    hint = f" Did you mean {module_name}:{similar[0]}?" if similar else ""
    return f"{module_name} has no {attribute}.{hint} {_callables(module, module_name)}"


def _callables(module, module_name):
    names = _names_of_callables(module)
    if not names:
        return f"Nothing in {module_name} can be called."
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"What can be called there: {listed}."


def _names_of_callables(module):
    return [name for name in vars(module) if not name.startswith("_") and callable(vars(module)[name])]
