"""Prints what a tool finds wrong in an example of docs/examples/, a line each.

    validate_example.py kubernetes FILE
    validate_example.py SERVICE OPERATION FILE      a request, by the API's model in botocore
    validate_example.py terraform FILE FOLDER       names of attributes, by the provider's schema
"""

import json
import re
import sys
from functools import cache
from pathlib import Path

import botocore.session
import hcl2
import kubernetes_validate
import yaml
from botocore.validate import ParamValidator


def kubernetes(path):
    with open(path, encoding="utf-8") as file:
        for document in yaml.safe_load_all(file):
            version = kubernetes_validate.latest_version()
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{document['kind']}: {'.'.join(map(str, error.path))}: {error.message}"


def request(service, operation, path):
    model = botocore.session.get_session().get_service_model(service)
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    shape = model.operation_model(operation).input_shape
    yield from ParamValidator().validate(value, shape).generate_report().splitlines()
    yield from unknown(value, shape, "")


def unknown(value, shape, path):
    """What the validator takes: names that the model lacks, and values that no enumeration has."""
    if shape.type_name == "structure":
        for name, each in value.items():
            if name in shape.members:
                yield from unknown(each, shape.members[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}: not in the API's model"
    elif shape.type_name == "list":
        for index, each in enumerate(value):
            yield from unknown(each, shape.member, f"{path}[{index}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value} is none of {', '.join(shape.enum)}"


def terraform(path, folder):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    provider = Provider(folder)
    for kind, blocks in hcl2.loads(text).items():
        if kind not in ("resource", "data"):
            continue
        for block in blocks:
            for of_type, named in block.items():
                name = Provider.name_of(of_type.strip('"'), kind == "data")
                for body in named.values():
                    yield from provider.check(name, f"{kind} {of_type}", body)
    for data, of_type, attribute in re.findall(r"\b(data\.)?(aws_\w+)\.\w+\.(\w+)", text):
        declared = provider.declarations(Provider.name_of(of_type, data != ""))
        if f"get {camel(attribute)}()" not in declared:
            yield f"{of_type} has no {attribute}"


class Provider:
    """A declaration for each resource, in which each attribute has its name in Terraform."""

    META = {"for_each", "count", "depends_on", "provider", "lifecycle"}

    def __init__(self, folder):
        self.folder = Path(folder)

    @staticmethod
    def name_of(of_type, is_data):
        name = of_type.replace("_", "-")
        return f"data-{name}" if is_data else name.removeprefix("aws-")

    @cache
    def declarations(self, name):
        return (self.folder / name / "index.d.ts").read_text(encoding="utf-8")

    def check(self, name, path, body):
        interface = "".join(part.capitalize() for part in name.split("-")) + "Config"
        yield from self.check_block(self.declarations(name), interface, path, body)

    def check_block(self, text, interface, path, body):
        declared = re.search(rf"^export interface {interface}\b.*?^}}", text, re.M | re.S).group()
        attributes = {
            name: (optional == "?", of_type)
            for name, optional, of_type in re.findall(
                r"#\w+ \w+#(\w+)\}.*?readonly \w+(\??): (\w*)", declared, re.S
            )
        }
        for name, (optional, _) in attributes.items():
            if not optional and name not in body:
                yield f"{path} lacks {name}"
        for name, value in body.items():
            if name.startswith("__") or name in Provider.META:
                continue
            if name not in attributes:
                yield f"{path} has no {name}"
            elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
                for block in value:
                    yield from self.check_block(text, attributes[name][1], f"{path}.{name}", block)


def camel(name):
    return re.sub(r"_(\w)", lambda match: match.group(1).upper(), name)


match sys.argv[1:]:
    case ["kubernetes", path]:
        findings = kubernetes(path)
    case ["terraform", path, folder]:
        findings = terraform(path, folder)
    case [service, operation, path]:
        findings = request(service, operation, path)
print("\n".join(findings))
