"""From records to a report card: one self-contained HTML page, a Hugging Face README, and JSON; and runs compared."""

from jumpml.report._card import Card, report_card
from jumpml.report._compare import ComparedRun, Comparison, compare_runs
from jumpml.report._record import CardRecord
from jumpml.report._run_folder import card_from_run

__all__ = ["Card", "CardRecord", "ComparedRun", "Comparison", "card_from_run", "compare_runs", "report_card"]
