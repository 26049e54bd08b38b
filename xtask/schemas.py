"""Writes what published schemas say of the parts that findings use, for detector/src/write/schemas/.

    target/venv/bin/python xtask/schemas.py asff < findings.jsonl > detector/src/write/schemas/asff.json
    target/venv/bin/python xtask/schemas.py guardduty < findings.jsonl > detector/src/write/schemas/guardduty.json
    target/venv/bin/python xtask/schemas.py ocsf OCSF_SCHEMA < findings.jsonl > detector/src/write/schemas/ocsf.json

ASFF and GuardDuty come from AWS's own service models, as botocore carries them; OCSF from a checkout of ocsf/ocsf-schema at
tag 1.5.0. `findings.jsonl` is what `callout replay --format …` prints: a shape it never reaches is left out.
"""

import gzip
import json
import pathlib
import sys


class Aws:
    """A service model of botocore: `names` says which of its names go over the wire."""

    def __init__(self, service, version, root, names):
        import botocore

        path = pathlib.Path(botocore.__file__).parent / "data" / service / version / "service-2.json.gz"
        self.shapes = json.loads(gzip.decompress(path.read_bytes()))["shapes"]
        self.root, self.names = root, names
        self.source = f"{service} {version}, shape {root}, botocore {botocore.__version__}"

    def members(self, shape):
        model = self.shapes[shape]
        wire = {name: self.names(name, member) for name, member in model["members"].items()}
        required = [wire[name] for name in model.get("required", [])]
        return required, {wire[name]: self.type(member["shape"]) for name, member in model["members"].items()}

    def type(self, shape):
        model = self.shapes[shape]
        match model["type"]:
            case "structure":
                return {"shape": shape}
            case "list":
                return {"list": self.type(model["member"]["shape"]), **({"max": model["max"]} if "max" in model else {})}
            case "map":
                return {"map": self.type(model["value"]["shape"])}
            case "string" if "enum" in model:
                return {"enum": model["enum"]}
            case "string" if model.get("pattern") == ".*\\S.*":
                return "filled"
            case "string" | "timestamp":
                return "string"
            case "integer" | "long":
                return "integer"
            case "double" | "float":
                return "number"
            case kind:
                return kind


class Ocsf:
    """A checkout of ocsf-schema, and the class of detection findings in it."""

    root = "detection_finding"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.dictionary = self.read("dictionary.json")["attributes"]
        version = self.read("version.json")["version"]
        self.source = f"ocsf/ocsf-schema {version}, class {self.root} with profile cloud"
        self.files = {path.stem: path for path in self.folder.glob("objects/*.json")}
        self.files |= {path.stem: path for path in self.folder.glob("events/**/*.json")}

    def read(self, path):
        return json.loads((self.folder / path).read_text())

    def attributes(self, name):
        model = json.loads(self.files[name].read_text())
        parent = model.get("extends")
        attributes = self.attributes(parent) if parent and parent in self.files else {}
        own = dict(model.get("attributes", {}))
        includes = own.pop("$include", [])
        for include in [includes] if isinstance(includes, str) else includes:
            included = self.read(include)
            if included.get("meta") != "profile" or included["name"] == "cloud":
                own = included.get("attributes", {}) | own
        for attribute, said in own.items():
            attributes[attribute] = attributes.get(attribute, {}) | said
        return attributes

    def members(self, shape):
        required, members = [], {}
        for name, said in self.attributes(shape).items():
            # What belongs to a profile that is not applied is not required.
            if said.get("profile") not in (None, "cloud"):
                continue
            told = self.dictionary.get(name, {})
            if said.get("requirement", told.get("requirement")) == "required":
                required.append(name)
            members[name] = self.type(told | said, {**told.get("enum", {}), **said.get("enum", {})})
        if shape == self.root:
            # What OCSF's own compiler derives: the numbers of category, class and type.
            category = self.read("categories.json")["attributes"]["findings"]["uid"]
            class_uid = category * 1000 + json.loads(self.files[shape].read_text())["uid"]
            types = [class_uid * 100 + activity for activity in members["activity_id"]["enum"]]
            members |= {"category_uid": {"enum": [category]}, "class_uid": {"enum": [class_uid]}, "type_uid": {"enum": types}}
        return required, members

    def type(self, told, enum):
        match told.get("type"):
            case "json_t" | "object":
                kind = "any"
            case "boolean_t":
                kind = "boolean"
            case "integer_t" | "long_t" | "timestamp_t" | "port_t":
                kind = {"enum": [int(key) for key in enum]} if enum else "integer"
            case "float_t":
                kind = "number"
            case name if name in self.files:
                kind = {"shape": name}
            case _:
                kind = "string"
        return {"list": kind} if told.get("is_array") else kind


def visit(schema, shapes, kind, value):
    """Adds every shape that a value reaches."""
    if not isinstance(kind, dict):
        return
    if "list" in kind and isinstance(value, list):
        for item in value:
            visit(schema, shapes, kind["list"], item)
    if "map" in kind and isinstance(value, dict):
        for item in value.values():
            visit(schema, shapes, kind["map"], item)
    if "shape" in kind and isinstance(value, dict):
        if kind["shape"] not in shapes:
            required, members = schema.members(kind["shape"])
            shapes[kind["shape"]] = {"required": sorted(required), "members": dict(sorted(members.items()))}
        members = shapes[kind["shape"]]["members"]
        for name, item in value.items():
            visit(schema, shapes, members.get(name), item)


def main():
    as_told = lambda name, member: name
    located = lambda name, member: member.get("locationName", name)
    match sys.argv[1:]:
        case ["asff"]:
            schema = Aws("securityhub", "2018-10-26", "AwsSecurityFinding", as_told)
        case ["guardduty"]:
            schema = Aws("guardduty", "2017-11-28", "Finding", located)
        case ["ocsf", folder]:
            schema = Ocsf(folder)
        case _:
            sys.exit(__doc__)
    shapes = {}
    for line in sys.stdin:
        visit(schema, shapes, {"shape": schema.root}, json.loads(line))
    print(json.dumps({"source": schema.source, "root": schema.root, "shapes": dict(sorted(shapes.items()))}, indent=1))


main()
