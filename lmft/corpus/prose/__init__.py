"""Lines of prose to scenes: licence text and page numbers out, wrapped lines joined.

In the order in which the text passes through them:

line.py          a line with its number
clean.py         trailing space, form feeds, control characters
boilerplate.py   what is no story goes, by way of
  licence.py     Project Gutenberg's headers and footers
  notices.py     copyright pages, archives, credits, transcribers' notes
  notice_rules.py  how those paragraphs begin
  marks.py       [Illustration], [Pg 12], [Transcriber's note: ...]
  pages.py       page numbers and running headers
  spans.py       leaving lines out and reporting it
contents.py      tables of contents
blocks.py        what stands between blank lines
wrapping.py      whether lines were wrapped, and how wide
joints.py        which lines were one
hyphens.py       broken words
unwrap.py        blocks to paragraphs
headings.py      chapters, titles, scene breaks
collection.py    whether the titled pieces each end
adventure.py     whether a player acts in it
scenes.py        paragraphs to stories and scenes
parts.py         scenes to parts that fit
story.py         the whole way
"""
