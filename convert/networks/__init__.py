"""Networks in Keras, each made of operations that int8 and the Edge TPU take."""
