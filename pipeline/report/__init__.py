"""The report: one page in one file. Its text, its pictures and its markup; what it shows is handed to it."""
