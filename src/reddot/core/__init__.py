"""The product. No socket, no SQL, no wire bytes, no clock, no logger: those come through ports."""
