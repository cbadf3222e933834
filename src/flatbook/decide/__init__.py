"""What we would like to do: pure policies for quoting and hedging; neither knows the other."""
