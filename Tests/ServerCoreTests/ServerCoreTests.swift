import Testing
@testable import ServerCore
