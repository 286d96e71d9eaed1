"""Where figures go while learning."""
