import Capture
import Model
import Testing
