"""The report on a run, in several forms.

document   the report as plain data; the others are made of it
progress   what is shown while a run lasts
terminal   the table and the failures, for people to read
json_file  everything, for programs to read and for ``--replay`` and ``--baseline``; schema.json describes it
junit      a test case per row, for CI systems
page       one self-contained HTML page, with pictures
"""
