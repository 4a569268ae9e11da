"""How public modules and their objects present themselves: names, errors about them, configurations."""
