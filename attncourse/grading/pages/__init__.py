"""What people read: feedback, the class report, exports."""
