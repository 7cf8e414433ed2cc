"""How a job ended, told to addresses that the operator named, signed as OpenAI signs.

endpoints.py  the addresses and their secrets: added, listed, removed
outbox.py     what is to be sent: written with the end of the job, tried until it arrives
event.py      one event: its body and its signature
sender.py     sends what is due
shown.py      all of it on the terminal
"""
