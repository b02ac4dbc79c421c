"""3. frames -> events: reads what a trainer prints. One file a trainer; `decode.py` drives them."""
