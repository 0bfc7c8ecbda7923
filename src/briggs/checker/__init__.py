"""Checks any endpoint, or an answer from a file, against the rule book."""

from briggs.checker.causes import Cause as Cause
from briggs.checker.causes import CausePlace as CausePlace
from briggs.checker.causes import Refusal as Refusal
from briggs.checker.causes import describe_rule as describe_rule
from briggs.checker.check import CHECK_TIMEOUT_S as CHECK_TIMEOUT_S
from briggs.checker.check import Result as Result
from briggs.checker.check import Verdict as Verdict
from briggs.checker.check import check_endpoint as check_endpoint
from briggs.checker.check import judge as judge
from briggs.checker.check import judge_file as judge_file
from briggs.checker.check import run_probe as run_probe
from briggs.checker.endpoint import CannotCheck as CannotCheck
from briggs.checker.endpoint import Endpoint as Endpoint
from briggs.checker.endpoint import KeyRefused as KeyRefused
from briggs.checker.endpoint import ProbeExchange as ProbeExchange
from briggs.checker.endpoint import ProbeRequest as ProbeRequest
from briggs.checker.probes import PROBES as PROBES
from briggs.checker.probes import Probe as Probe
from briggs.checker.report import CheckReport as CheckReport
from briggs.checker.report import describe_cause as describe_cause
from briggs.checker.report import describe_refusal as describe_refusal
from briggs.checker.report import list_rules as list_rules
from briggs.checker.report import write_json as write_json
from briggs.checker.report import write_junit as write_junit
from briggs.checker.report import write_markdown as write_markdown
from briggs.checker.servers import Software as Software
