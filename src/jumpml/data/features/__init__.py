"""What stands between a decoded field and a model, fitted on train rows."""
