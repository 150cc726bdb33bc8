"""The base of everything that is read from a file: frozen, with unit strings, and with errors that name the remedy.

In a file a length is a string with a unit; a bare number is refused there. In Python a bare float is SI.
"""

import difflib
import json
import math
import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from fouroptics import units
from fouroptics.errors import ConfigError, FourOpticsError

_depth: ContextVar[int] = ContextVar("_depth", default=0)


def _quantity(kind: str) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    def read(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            try:
                return units.parse(value, kind)
            except FourOpticsError as error:
                raise ValueError(str(error)) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{value!r} is no {kind}; write a string such as {units.EXAMPLE[kind]!r}")
        if info.context is not None:
            raise ValueError(f"the bare number {value} has no unit; write a string such as {units.EXAMPLE[kind]!r}")
        if not math.isfinite(value):
            raise ValueError(f"{value} is no finite {kind}")
        return float(value)

    spelled = "|".join(unit.replace("u", "[uµμ]") for unit in units.UNITS[kind])
    pattern = rf"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*({spelled})\s*$"
    schema = WithJsonSchema({"type": "string", "pattern": pattern, "examples": [units.EXAMPLE[kind]]})
    return BeforeValidator(read), PlainSerializer(lambda value: units.exact(value, kind), when_used="json"), schema


def beside(value: Any, info: ValidationInfo) -> Any:
    """A path in a file counts from the folder of the file."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{value!r} is not the path of a file")
    path = Path(info.context or "").parent / value
    if not path.is_file():
        raise ValueError(f"there is no file {path}; check the path, which counts from the folder of this file")
    return path.resolve()


Length = Annotated[float, *_quantity("length")]
Power = Annotated[float, *_quantity("power")]
Time = Annotated[float, *_quantity("time")]
Angle = Annotated[float, *_quantity("angle")]
Frequency = Annotated[float, *_quantity("frequency")]
Temperature = Annotated[float, *_quantity("temperature")]
DataFile = Annotated[Path, BeforeValidator(beside), PlainSerializer(str, when_used="json")]
Number = Annotated[float, Field(strict=True)]  # no string, no true or false
Whole = Annotated[int, Field(strict=True)]
Size = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Shape = tuple[Size, Size]


_WANTED = {  # what pydantic says in the words of Python, in those of a TOML file
    "model_type": "write a table of keys",
    "dict_type": "write a table of keys",
    "tuple_type": "write a list",
    "too_long": "write {max_length} values, not {actual_length}",
}


def _explain(model: type[BaseModel], error: ValidationError, data: Any) -> str:
    """One line a mistake: the key, the value as it was given, the remedy."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or model.__name__
        given = data
        for part in item["loc"]:
            given = given.get(part, item["input"]) if isinstance(given, dict) else item["input"]
        if item["type"] == "extra_forbidden":
            known = _keys(model, item["loc"][:-1])
            close = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
            lines.append(f"{key} = {given!r}: unknown key; {remedy}")
        elif item["type"] == "missing":
            lines.append(f"{key}: missing; add it")
        else:
            value = "" if isinstance(given, dict) else f" = {given!r}"
            wanted = _WANTED.get(item["type"], "").format_map(item.get("ctx", {}))
            lines.append(f"{key}{value}: {wanted or item['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        nested = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        model = next((t for t in nested if isinstance(t, type) and issubclass(t, BaseModel)), model)
    return list(model.model_fields)


class FileConfig(BaseModel):
    """Base of all configurations; unknown keys are errors, values are frozen.

    Raises
    ------
    ConfigError
        On a wrong key or value; the message has one line for each mistake.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    file_title: ClassVar[str] = "fouroptics file"

    @model_validator(mode="wrap")
    @classmethod
    def _readable_errors(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        depth = _depth.get()
        token = _depth.set(depth + 1)
        try:
            config = handler(data)
            if fault := config.fault():
                raise ValueError(fault) if depth else ConfigError(fault)  # the outermost model adds the path
            return config
        except ValidationError as error:
            if depth:  # the outermost model knows the whole path
                raise
            raise ConfigError(_explain(cls, error, data)) from None
        finally:
            _depth.reset(token)

    def fault(self) -> str | None:
        """What is wrong with the values together, as the message of a `ConfigError`; None if nothing is."""
        return None

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a TOML file; lengths, powers, times and angles must carry their unit.

        Raises
        ------
        ConfigError
            If the file is missing, is no TOML, or holds a wrong key or value.
        """
        path = Path(path)
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not a TOML file ({error})") from None
        try:
            return cls.model_validate(data, context=str(path))
        except ConfigError as error:
            raise ConfigError(f"{path}:\n{error}") from None

    @classmethod
    def file_schema(cls) -> dict[str, Any]:
        """JSON schema of the file (draft 2020-12): quantities are texts with their unit."""
        return _only_known({**cls.model_json_schema(mode="validation"), "title": cls.file_title})

    def to_toml(self) -> str:
        """Write the configuration as TOML text that `from_toml` reads back to an equal one."""
        data = self.model_dump(mode="json", exclude_none=True)
        tables = {key: value for key, value in data.items() if isinstance(value, dict)}
        lines = [f"{key} = {_toml(value)}" for key, value in data.items() if key not in tables]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        return "\n".join(lines).strip() + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers, booleans and lists are the same in TOML


def _only_known(schema: Any) -> Any:
    """Drop the limits of numbers from texts, and defaults in SI units: they are not in the terms of the file."""
    if isinstance(schema, list):
        return [_only_known(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = {"gt", "ge", "lt", "le"} | (
        {"default"} if schema.get("type") == "string" and "pattern" in schema else set()
    )
    return {key: _only_known(value) for key, value in schema.items() if key not in dropped}
