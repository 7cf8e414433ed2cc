"""Every sentence of the Train page; see ui.text. Plain text, escaped where it is shown."""

from __future__ import annotations

TRAIN = "Train"

# What goes in
INTRO = (
    "Drop what you have: stories, books, chat logs, scripts, JSONL. Nothing leaves this machine. "
    "You see what was made of it, and what training will take, before anything starts."
)
DROP, DROP_FOLDER = "Files: drop them here, or click", "A whole folder: drop it here, or click"
MORE_FILES = "Add files"
SENDING = "Taking in {number} of {count}: {name}"
REFUSED = "{name}: {message}"
REFUSED_SOME = "{count} of {all} were not taken:"
REFUSED_ALL = "Nothing was taken, so there is nothing to train on:"
VANISHED = "it was gone before it could be read; drop it again"
NOTHING_DROPPED = "There was no file in that."

# How it is to be trained
SETTINGS = "Settings"
FILES, FILES_HINT = "Files", "Take one out, or add one that was uploaded before."
PRESET = "What it is to become"
AUTO_PRESET = "Whatever fits the text: lmft looks and chooses"
PRESETS = {
    "adventure": "A narrator: stories and text adventures, told with you",
    "character": "A character: somebody to talk to, from chats and dialogues",
    "prefer": "A matter of taste: learns from better and worse answers (preferences)",
    "gpt2-adventure": "A narrator over GPT-2, with AI Dungeon's settings; wants a GPU",
    "qwen3-8b-adventure": "A narrator over a large base, with settings for 8B; wants a large GPU",
}
START_FROM = "What it starts from"
START_HINT = "A base, or a model of yours that goes on learning."
NAME, NAME_HINT = "Name", "Small letters, digits, hyphens; part of the model's id."
ADVANCED = "Advanced"
EPOCHS, EPOCHS_HINT = "Epochs", "How often all of it is read. More memorises."
RANK, RANK_HINT = "Rank", "How much it can take in: 1, 8, 16, 32, 64."
RATE, RATE_HINT = "Learning rate", "Too high spoils the answers, too low learns nothing."
AUTO, AUTO_IS = "auto", "auto: {value}"
MODEL_PLAYS, YOU_PLAY = "The model plays", "You play"
CAST_HINT = "A name from scripts or logs; empty: lmft chooses."
SKIP_BAD = "Leave bad lines and files out instead of refusing all"
REPLAN = "Plan again"
EDITED = "The plan below is for other settings. Plan again, then start."
REPLANNED = "The settings had changed, so this is a new plan. Press Start if you like it."
NOT_A_NUMBER = "{field}: {value!r} is no number. Type one, or leave it empty for auto."

# Buttons
START, RESUME, PAUSE, STOP, NEW = "Start", "Resume", "Pause", "Stop", "Train something else"
DISCARD = "Discard"
STOP_SURE = "Stop this training for good? It cannot go on afterwards. Pause lets it wait instead."
DISCARD_SURE = "Discard this plan? Your files stay on the server."
STOP_YES, STOP_NO = "Yes, end it", "No, keep it"

# How it stands; {what} is the name that its model gets
STATES = {
    "validating_files": "Looking at your files",
    "held": "Ready to start",
    "queued": "Waiting for its turn",
    "running": "Training",
    "paused": "Paused",
    "pausing": "Pausing after this step",
    "cancelling": "Ending after this step",
    "succeeded": "Trained",
    "failed": "Failed",
    "cancelled": "Ended by you",
}
SAYS = {
    "validating_files": "They are read, compiled and counted. This takes seconds, for large "
    "books a minute.",
    "held": "Look at what was made of your text, and at the plan. Start when you like it.",
    "queued": "It begins by itself as soon as the machine is free.",
    "running": "You may close this page: training goes on, and this address shows it.",
    "paused": "Nothing is lost. Resume goes on from the last step.",
    "pausing": "It keeps what it has learnt.",
    "cancelling": "",
    "succeeded": "Your model is ready.",
    "failed": "",
    "cancelled": "Its files are still on the server.",
}
PLAY_IT, COMPARE_IT = "Play it", "Compare it with the base"
STEP = "Step {step:,} of {steps:,}"
STEPS_UNKNOWN = "Getting ready"
SPEED = "{speed:,.0f} tokens/s"
LEFT = "{time} left"
TOOK = "took {time}"
TRIED = "attempt {attempt}"
WHY_FAILED = "Why it failed"
FAULTY_FILES = (
    "Mend this and drop the files again. Bad lines can be left out too: tick “Leave bad lines and "
    "files out” below and press Plan again."
)
TRY_AGAIN = "Change what is named here, then press Plan again."

# The curve
LOSS = "Training loss, nats per token"
HELDOUT = "Loss on held-out text, nats per byte"
CURVE_EMPTY = "The curve begins with the first step."
STEPS_AXIS = "{steps:,} steps"
CURVE_SAID = "{title}: {first:.3f} at the start, {last:.3f} at step {step:,}."
CURVE_NOW = "{first:.3f} → {last:.3f}"
CURVE_HINT = (
    "Both should fall. When the loss on held-out text rises again, it memorises instead of "
    "learning."
)

# Samples, events
SAMPLES = "What it writes"
SAMPLES_EMPTY = "Samples come with the first measurement."
SAMPLE_STEP = "Step {step:,}"
SAMPLE_START = "Before training"
EVENTS = "What happened"
EVENTS_EMPTY = "Nothing yet."

# What the compiler made of it
CORPUS = "What was made of your text"
READY, READY_WARNED = "Ready to train", "Ready to train, but look at this:"
NOT_READY = "This must not be trained on:"
KINDS = {
    "story": "stories",
    "adventure": "adventures, told in turns",
    "chat": "conversations",
    "instruct": "questions and answers",
    "preference": "better and worse answers",
}
PERSONS = {"first": "first person", "second": "second person", "third": "third person"}
FACT_KIND, FACT_DOCUMENTS, FACT_TRAIN, FACT_HELDOUT = "Kind", "Documents", "To train on", "Held out"
FACT_CAST, FACT_LANGUAGES, FACT_LONGEST = "Cast", "Languages", "Longest document"
CAST = "the model is {model}, you are {you}"
DOCUMENTS = "{count:,} from {files}"
TRAIN_SIDE = "{tokens:,} tokens ({size})"
HELDOUT_SIDE = "{tokens:,} tokens, to measure what was learnt"
LONGEST = "{tokens:,} tokens; the base sees {context:,} at once"
ONE_FILE, MANY_FILES = "1 file", "{count:,} files"
COUNTED_DOCUMENTS = "{count:,} document", "{count:,} documents"
READ_AS = "read as {reader}"
FILES_READ = "The files, one by one"
LEFT_OUT = "What was left out, and why"
LEFT_OUT_LINE = "{reason}: {places:,} place(s), {characters:,} characters"
LEFT_OUT_PLACE = "{file}, lines {first} to {last}: {reason}"
REPEATS = "Repeats left out: {count:,}"
REPEAT = "{source} says the same as {of}"
SECRETS = "Secrets and personal data in it"
PERSONAL = "{kind}: {count:,} time(s), first at {places}"
SECRETS_HINT = "The model may learn to say them. Take them out of the files if they are real."
BAD_LINES = "Bad lines ({count:,})"
NOTES = "Noticed"
AS_SEEN = "The first texts, as the model sees them"
AS_SEEN_HINT = "Underlined is learnt, pale is read only. {start} begins a text, {end} ends it."
AS_SEEN_SOURCE = "{source}, {tokens:,} tokens"
TEXT_START, TEXT_END = "START", "END"
NOT_SHOWN = " [{count:,} tokens not shown] "

# The plan
PLAN = "The plan"
PLAN_LINES = {
    "preset": "Preset",
    "base": "Starts from",
    "work": "Work",
    "time": "Time",
    "memory": "Memory",
    "disk": "Disk",
    "energy": "Energy",
    "settings": "Settings",
}
PLAN_WORK = "{steps:,} steps of {step_tokens:,} tokens, {tokens:,} in all"
PLAN_TIME = "about {time} on {device}"
PLAN_TIME_HINT = "an estimate, measured as soon as it runs"
DEVICES = {"cpu": "this computer's processor", "cuda": "the graphics card"}
PLAN_MEMORY, PLAN_MEMORY_FREE = "{peak}", "{peak} of {free} free"
PLAN_ENERGY = "about {kwh} kWh at {watts} W"
PLAN_LITTLE_ENERGY = "under {least} kWh at {watts} W"
PLAN_COST = ", {cost:.2f} {currency}"
PLAN_SETTINGS = "{epochs} epochs, rank {rank}, learning rate {rate}"
REASONS = "Why these settings"

# All jobs
JOBS = "Trainings"
JOBS_EMPTY = "None yet. Those that you start from the command line or the SDK show up here too."
UNNAMED = "Unnamed {id}"
JOB_LINE = "{name}, on {model}"
JOB_GONE = "There is no training {id}. It may have been of another project; choose one below."

# When the server does not answer
SERVER_GONE = "The server does not answer. Training goes on where it runs; this page tries again."
ASK_FAILED = "That did not work: {message}"
KB, MB, GB = "{n:.0f} KB", "{n:.0f} MB", "{n:.1f} GB"
SECONDS, MINUTES, HOURS = "{n:.0f} s", "{n:.0f} min", "{n:.1f} h"
