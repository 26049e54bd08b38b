"""Applies the SAM transform to a template, as CloudFormation would, and prints the result as JSON.

Run by `cargo xtask template` with the Python of target/venv; needs no credentials and no network.
"""

import json
import os
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The transform looks up names of AWS-managed policies; these templates use none."""

    def load(self):
        return {}


def main():
    os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file)
    for function in template["Resources"].values():
        if function["Type"] == "AWS::Serverless::Function":
            function["Properties"]["CodeUri"] = "s3://code/bootstrap.zip"
    globals_of_functions = template.get("Globals", {}).get("Function", {})
    globals_of_functions.pop("CodeUri", None)
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1, sort_keys=True)


main()
