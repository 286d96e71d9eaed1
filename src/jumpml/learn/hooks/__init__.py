"""What joins the loop: averages, what is recorded and measured, early stopping, growth."""
