"""Functions of the user's: imported, called and checked, with one line for each way in which they do not fit."""
