"""Single rows in the loop: which may come yet, what each counts, how often it comes."""
