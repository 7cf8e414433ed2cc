"""What people said to each other: a log to conversations.

sessions.py            a stream of messages cut where it fell silent, turns joined
contacts.py            speakers named by a number, given a name
whatsapp_notices.py    what WhatsApp itself writes
discord.py, whatsapp.py, sillytavern.py
"""
