"""Every sentence a person reads on the pages, in one place, so that one voice speaks.

Plain text only: the pages escape it like any other text. Commands stand between backticks, as
people type them.
"""

from __future__ import annotations

TITLE = "lmft"
PLAY = "Play"
COMPARE = "Compare"
LOGIN = "The user name is lmft, the password is the key that the server was started with."

# Asking for models
MODEL = "Narrator"
REFRESH = "Refresh"
NO_MODEL = "Choose a narrator first."
NO_ADAPTER = (
    "Only the base model is here, nothing that was trained on your text yet. Make one with "
    "`lmft demo` (our sample stories) or `lmft train RECIPE` (yours), then press Refresh."
)
NO_ADAPTER_TO_COMPARE = (
    "There is nothing to compare with the base model yet. Make an adapter with `lmft demo` (our "
    "sample stories) or `lmft train RECIPE` (yours), then press Refresh."
)
STARTING = "The engine is still starting{phase}. This page goes on by itself when it is ready."
NOT_STARTED = (
    "The engine did not start: {detail}. The terminal where the server runs says more. "
    "Start it again with `lmft serve`, then press Refresh."
)
UNREACHABLE = "No lmft server answers at {url}. Start one with `lmft serve`, then press Refresh."
BASE_LABEL = "{name} (base model, not trained on your text)"
ADAPTER_LABEL = "{name} {short}, {date}, on {base}"
FAILED_LABEL = "{label}: failed its check, not served"

# The story
OPENING = (
    "You have walked since dawn, and the road ends where the map does: at a gate of black oak "
    "with no wall on either side of it."
)
STORY_REGION = "The story so far"
STORY_EMPTY = "Nothing is written yet. Type the first line below."
CHAT_EMPTY = "Nobody has spoken yet. Say something to {name}."
MODES = [("Do", "do"), ("Say", "say"), ("Story", "story")]
MODE = "Your words are"
OTHER_TAB = (
    "This story is open in another tab too, and the tab that plays last keeps it. Reload this page "
    "to go on from what the other has."
)
BOX = "Your turn"
BOX_CHAT = "{name} says"
BOX_HINT = "Enter sends; empty goes on"
SEND, CONTINUE, RETRY, UNDO, REDO, STOP = "Send", "Continue", "Retry", "Undo", "Redo", "Stop"
EARLIER, LATER = "◀ Previous", "Next ▶"
TELLING = "{number}/{count}"
NEW_STORY, OPENING_LABEL, BEGIN = "New story", "How it opens", "Begin"
OPENING_HINT = "The old story is kept: Undo on the fresh page brings it back."

# Settings
SETTINGS, TEMPERATURE, LENGTH, SEED = "Settings", "Temperature", "Length in tokens", "Seed"
TEMPERATURE_HINT = "Low keeps to the likely words, high dares more."
SEED_HINT = "Empty: a new one each turn. A set seed grows by one with each Retry."

# What the server said
ANSWERED = "Answered by {model}, {adapter}"
BASE_WEIGHTS = "base weights"
ADAPTER_WEIGHTS = "adapter {hash}"
FINISH = {
    "stop": "ended by itself",
    "length": "cut at the length",
    "stopped": "stopped by you",
}
TOKENS = "{count} tokens"
BAD_SEED = f"The seed must be empty or a whole number from 0 to {2**31 - 1}."
SEED_USED = "seed {seed}"
DROPPED = "the {count} oldest turns after the opening no longer fit"
TTFT = "first words after {seconds:.2f} s"
WRITING = "Writing…"
IDLE = "Nothing asked yet."
FAILED = "No answer."
GONE_MODEL = "{gone} is not here any more: {model} goes on from here."
OTHER_MODEL = "You asked for {asked}, but {model} answered."
STOPPED_EMPTY = "Stopped before the first word; your text is back in the box."
EMPTY_REPLY = "The model had nothing to say. Try again, perhaps with another seed."
ALREADY_RUNNING = "An answer is still being written. Stop it first, or wait for it."

# Errors, by the server's code; {message} is its own sentence
ERRORS = {
    "engine_starting": "The engine is not ready yet{wait}. Nothing is lost; send it again soon.",
    "model_not_found": "This model is gone from the server. Press Refresh and choose another. "
    "({message})",
    "invalid_api_key": "The server refused the key of this page. Start the server again with the "
    "key that it should use. ({message})",
    "context_length_exceeded": "Too long for this model: ask for a smaller length, or shorten "
    "the text. ({message})",
    "probe_failed": "This adapter does not answer as it did in training, so it is not served. "
    "Choose another. ({message})",
}
ERROR = "The server could not answer: {message}"
CONNECTION_LOST = "The connection broke in mid-sentence. Nothing of yours is lost; send it again."
TIMED_OUT = "No word for {seconds:.0f} seconds. Nothing of yours is lost; send it again."
WAIT = " (about {seconds:.0f} s)"

# Compare
PROMPT, PROMPT_HINT = "The same beginning for both", "Ctrl+Enter runs it."
MODEL_A, MODEL_B = "Model A", "Model B"
RUN, DICE = "Run", "⚄ New seed"
SEED_SHARED = "Both get the same one."
TWO_MODELS = "Choose two models and give them a beginning."
COMPARED = {
    "idle": "",
    "running": "Both are writing…",
    "done": "Both are done.",
    "error": "At least one of them failed.",
}
