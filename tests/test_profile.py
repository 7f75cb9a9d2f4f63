"""A profile that makes no sense is refused with the words that mend it."""

import pytest

from refconv.conformance.profile import Profile, ProfileError

WRONG = [
    ('unsupported = ["groups"]', 'must be a table of features and reasons, such as groups = "not written yet"'),
    (
        '[unsupported]\nnamed-padding = "no"',
        "unknown feature 'named-padding'; did you mean 'named_padding'. known are groups",
    ),
    ('[unsupported]\n"conv1d:Bais" = "no"', "unknown feature 'conv1d:Bais'; did you mean 'conv1d:bias'. known are"),
    ('[unsupported]\nchannels = "no"', "unknown feature 'channels'; known are groups, "),
    ('[unsupported]\n"conv4d:bias" = "no"', "'conv4d:bias', but 'conv4d' is no operation or dtype; known are conv1d, "),
    ("groups = false", "unknown key 'groups'; known are ops, dtypes, claims"),
    ('layout = "NHWC"', "layout must be one of 'channels_first', 'channels_last', but got 'NHWC'"),
    ('weight_layout = "OHWI"', "weight_layout must have the letters O, I and S in some order, but got 'OHWI'"),
    ('ops = ["conv4d"]', r"ops must be some of conv1d, .*, but got \['conv4d'\]"),
    ('[claims.float32]\naccumulate = "float8"', "claims: "),
    ("ops =", "cannot read .*wrong.toml"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_said(text, message, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=message):
        Profile.from_toml(path)


def test_a_profile_is_what_its_file_says(tmp_path):
    path = tmp_path / "profile.toml"
    path.write_text(
        'layout = "channels_last"\n[unsupported]\ngroups = "no"\n[claims.float32]\naccumulate = "float64"\n'
    )
    profile = Profile.from_toml(path)
    assert (profile.layout, profile.supports("groups"), profile.supports("bias")) == ("channels_last", False, True)
    assert profile.claim("float32").accumulate == "float64"
    assert Profile.from_dict(profile.as_dict()) == profile
