/// A key or mouse action, whatever the terminal sent for it.
enum Key: Hashable, Sendable {
    case char(Character)
    /// With Ctrl held; the letter is lower case.
    case control(Character)
    case function(Int)
    case enter
    case escape
    case tab
    case backTab
    case backspace
    case delete
    case up
    case down
    case left
    case right
    case pageUp
    case pageDown
    case home
    case end
    case mouse(Mouse)

    struct Mouse: Hashable, Sendable {
        enum Action: Hashable, Sendable {
            case press
            case doublePress
            case wheelUp
            case wheelDown
        }

        var action: Action
        var row: Int
        var column: Int
    }
}
