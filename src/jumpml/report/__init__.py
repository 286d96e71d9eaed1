"""From records to a report card: one self-contained HTML page, a Hugging Face README, and JSON."""

from jumpml.report._card import Card, report_card
from jumpml.report._record import CardRecord
from jumpml.report._run_folder import card_from_run

__all__ = ["Card", "CardRecord", "card_from_run", "report_card"]
