"""The general path: any class of the library, through a family's form and one forward."""
