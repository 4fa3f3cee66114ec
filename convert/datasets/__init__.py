"""Readers for data sets as their publishers lay them out: files on disk become items."""
