"""What a picture's codes stand for: ICC profiles and code points, to linear sRGB and back."""
