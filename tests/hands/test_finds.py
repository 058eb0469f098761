from mmfusion.hands.crops import Square
from mmfusion.hands.finds import Find, same_hand, track_of
from tests.hands.fakes import joints_at


def find_at(x: float, track: int = -1, side: float = 80.0) -> Find:
    joints = joints_at(x, 100.0, 40.0).astype(float)
    return Find(joints, 0.9, 0.8, Square(x, 100.0, side, 0.0), track=track)


def test_finds_in_one_place_are_of_one_hand():
    first = find_at(100)
    assert same_hand(find_at(105), [first]) is first
    assert same_hand(find_at(120), [first]) is first  # the squares overlap by 0.6
    assert same_hand(find_at(140), [find_at(300), first]) is None


def test_a_lost_hand_is_found_again_once():
    lost = [find_at(100, track=7)]
    assert track_of(find_at(130), lost) == 7
    assert track_of(find_at(130), lost) is None
    assert track_of(find_at(300), [find_at(100, track=7)]) is None


def test_scaled_find_is_the_same_hand():
    half = find_at(100).scaled(0.5)
    assert half.square == Square(50.0, 50.0, 40.0, 0.0)
    assert half.scaled(2).joints.tolist() == find_at(100).joints.tolist()
