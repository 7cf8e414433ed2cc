"""Playing a story: pure logic, no HTTP, no model.

actions.py   what the player typed -> a line of the story
story.py     turns -> a prompt that fits the context
"""
