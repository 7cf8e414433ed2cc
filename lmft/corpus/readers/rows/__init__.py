"""Rows of JSON or of a table, in the shapes that trainers know.

strict_json.py       hostile JSON to values, or a fault in one line
json_scan.py         an array taken apart; top-level keys, without parsing all
fault.py             what is wrong with a row
shapes.py            which shape a row has: messages, prompt and completion, Alpaca, ...
chat_messages.py     OpenAI's messages, tool_calls.py: and their tools
documents.py         a row of each shape to a document, row_story.py: its prose cleaned up
jsonl.py             JSON lines, an array of rows, or one row
csv_rows.py          rows of CSV and TSV with their lines, table_documents.py: to documents
table.py             CSV and TSV
"""
