"""Documents made for reading: HTML, EPUB, DOCX, PDF. All end in lmft.corpus.prose.

archive.py        a zip opened safely (EPUB and DOCX are zips)
html_tree.py      bytes of markup to a tree
boilerplate.py    what in a tree is no prose
page.py           lines with their places, that can be taken back
markup.py         a tree to lines
print_pages.py    printed pages to lines: running headers, page numbers, paragraphs over pages
html.py, epub.py, docx.py, pdf.py
"""
