"""What it is worth and what risk costs: values, exposures, scenarios, the price of risk, and P&L explained."""
