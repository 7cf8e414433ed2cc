"""Rasa's training data to conversations.

strict_yaml.py    YAML without tags, anchors and surprises
words.py          what people say for an intent, what the bot answers for an action
settings.py       a project's other files
stories.py        steps to turns
rasa.py
"""
