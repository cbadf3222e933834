"""Hedging venues by ccxt: perpetuals, dated futures and spot of Binance, OKX and Bybit, as our events and amounts.

`codec` and `codec_own` turn ccxt's structures into events, `listing` its markets into instruments, `orders` keeps what
was asked and what is known of it: pure. `client` runs them on an exchange object of the library, which is optional.
"""
