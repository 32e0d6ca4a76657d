"""An executable specification of search: a naive reading of the rules that a Millrace index obeys.

Settings, documents and a request go in, the answer of a single exact index comes out. Every document is looked at on its
own, so nothing here depends on what else is stored, save where the rules say so. Clear before fast.
"""
