"""Journeys of a person through the app, in a real Chromium. Screenshots are left in a temporary
folder whose name pytest prints."""
