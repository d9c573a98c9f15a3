"""Every refusal of the API has its code, names the bad input, and changes nothing."""
