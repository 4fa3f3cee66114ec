"""The face detector that a bundle carries: adopted, completed with pose maps, measured."""
