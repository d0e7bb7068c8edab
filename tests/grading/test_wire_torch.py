"""A tensor arrives as it was; without torch there, as an array."""

import sys

import numpy as np
import pytest

from attncourse.grading.inside import wire, wire_torch
from attncourse.grading.inside.wire import WireError, decode, encode

torch = pytest.importorskip("torch")


def crossed(value):
    return decode(encode(value))


@pytest.fixture
def no_torch(monkeypatch):
    """Torch as it is where nobody imported it."""

    def take_away():
        monkeypatch.delitem(sys.modules, "torch")

    return take_away


@pytest.mark.parametrize("name", sorted(wire_torch._RAW))
def test_a_tensor_of_any_type_arrives(name):
    here = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(getattr(torch, name))
    there = crossed(here)
    assert type(there) is torch.Tensor
    assert there.dtype is here.dtype
    assert torch.equal(there.to(torch.complex64), here.to(torch.complex64))


@pytest.mark.parametrize(
    "here",
    [
        torch.arange(35.0).reshape(5, 7).T,
        torch.arange(35.0).reshape(5, 7)[::2, 1::3],
        torch.arange(7.0)[None].expand(5, 7),
        torch.arange(2.0 * 3 * 5).reshape(2, 3, 5).transpose(1, 2),
        torch.arange(14.0, dtype=torch.bfloat16)[::2],
        torch.tensor(3.0),
        torch.zeros(0, 5),
        torch.arange(7).unfold(0, 3, 2),
    ],
)
def test_a_tensor_arrives_with_its_layout(here):
    there = crossed(here)
    assert there.shape == here.shape
    assert torch.equal(there, here)
    if here.numel():
        assert there.stride() == here.stride()
    assert there.is_contiguous() == here.is_contiguous()


def test_what_lies_between_a_tensor_s_numbers_is_not_sent():
    there = crossed(torch.arange(7.0)[::2])
    memory = torch.as_strided(there, (7,), (1,))
    assert memory[1::2].isnan().all()


@pytest.mark.parametrize(
    "here",
    [torch.ones(3, dtype=torch.complex64) * 1j, torch.ones(3) + 0j],
)
def test_a_conjugated_tensor_arrives_as_its_numbers(here):
    assert torch.equal(crossed(here.conj()), here.conj())
    assert torch.equal(crossed(here.conj().imag), here.conj().imag)


def test_whether_a_gradient_is_wanted_arrives():
    here = torch.ones(3, requires_grad=True)
    assert crossed(here).requires_grad
    assert crossed(here * 2).requires_grad
    assert crossed(here * 2).is_leaf
    assert not crossed(here.detach()).requires_grad


def test_a_parameter_arrives_with_its_gradient():
    layer = torch.nn.Linear(2, 3)
    layer(torch.ones(5, 2)).square().sum().backward()
    weight, bias = crossed(list(layer.parameters()))
    assert type(weight) is type(bias) is torch.nn.Parameter
    assert torch.equal(weight.grad, layer.weight.grad)
    assert torch.equal(bias.grad, layer.bias.grad)


def test_a_state_dict_arrives_as_a_plain_dictionary():
    state = torch.nn.Linear(2, 3).state_dict()
    packed = wire.pack(state)
    there = decode(packed.data)
    assert type(there) is dict
    assert packed.subclasses == ()
    assert all(torch.equal(there[name], state[name]) for name in state)


def test_a_tensor_that_is_sent_twice_is_one_tensor_there():
    here = torch.ones(3)
    left, right, other = crossed((here, here, here.clone()))
    assert left is right
    assert left is not other


def test_a_tensor_can_be_written_and_trained_there():
    there = crossed(torch.ones(3, requires_grad=True))
    (there * there).sum().backward()
    with torch.no_grad():
        there -= there.grad
    assert there.tolist() == [-1, -1, -1]


def test_dtypes_devices_and_sizes_arrive():
    assert crossed(torch.bfloat16) is torch.bfloat16
    assert crossed(torch.device("cuda:1")) == torch.device("cuda:1")
    packed = wire.pack(torch.Size((2, 3)))
    assert decode(packed.data) == (2, 3)
    assert packed.subclasses == ()


def test_named_results_of_torch_arrive_as_tuples():
    packed = wire.pack(torch.ones(2, 3).max(dim=1))
    values, places = decode(packed.data)
    assert values.tolist() == [1, 1]
    assert places.dtype is torch.int64
    assert packed.subclasses == ()


def test_a_tensor_of_a_subclass_arrives_as_a_tensor_and_is_reported():
    class Lying(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, kinds, args=(), kwargs=None):
            raise SystemExit

        shape = property(lambda self: (7,))

    packed = wire.pack(torch.arange(3.0).as_subclass(Lying))
    there = decode(packed.data)
    assert type(there) is torch.Tensor
    assert there.tolist() == [0, 1, 2]
    assert packed.subclasses == ("Lying",)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.ones(3, device="meta"),
        lambda: torch.quantize_per_tensor(torch.ones(3), 1, 0, torch.qint8),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_without_plain_numbers_does_not_cross(make):
    with pytest.raises(WireError, match="cannot cross"):
        encode(make())


def test_without_torch_a_tensor_arrives_as_an_array(no_torch):
    here = torch.tensor([[1.5, -2.0, torch.inf]], requires_grad=True)
    messages = [
        encode(here.to(getattr(torch, name)))
        for name in ("float32", "bfloat16", "float64")
    ]
    others = encode([torch.float32, torch.device("cpu"), here > 0])
    no_torch()
    for message in messages:
        there = decode(message)
        assert type(there) is np.ndarray
        assert there.tolist() == [[1.5, -2, np.inf]]
    dtype, device, mask = decode(others)
    assert (dtype, device) == ("torch.float32", "cpu")
    assert mask.dtype == bool


def tensor_message(name, flags, array, *rest):
    raw = encode(array)[3:]
    name = name.encode()
    return b"".join(
        [
            *(b"\xa7\x01X", len(name).to_bytes(8, "little"), name),
            *(bytes((flags,)), raw, *rest),
        ]
    )


READ_ONLY = np.ones(3, "f4")
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "lie",
    [
        tensor_message("float32", 0, np.ones(3)),
        tensor_message("float32", 0, np.ones(3, ">f4")),
        tensor_message("float32", 0, np.ones(3, "f4")[::-1]),
        tensor_message("float32", 0, READ_ONLY),
        tensor_message("float32", 8, np.ones(3, "f4")),
        tensor_message("float32", 4, np.ones(3, "f4"), b"N"),
        tensor_message("float32", 4, np.ones(3, "f4"), encode([])[2:]),
        tensor_message(
            "float32", 4, np.ones(3, "f4"), encode(torch.ones(2))[2:]
        ),
        tensor_message("int64", 1, np.ones(3, "i8")),
        tensor_message("int64", 4, np.ones(3, "i8"), b"N"),
        tensor_message("object", 0, np.ones(3)),
        tensor_message("float32", 0, np.zeros(3, "<U1")),
        b"\xa7\x01x" + (4).to_bytes(8, "little") + b"load",
        b"\xa7\x01v" + (4).to_bytes(8, "little") + b"cpu ",
    ],
)
def test_a_tensor_that_lies_about_itself_is_refused(lie):
    with pytest.raises(WireError):
        decode(lie)


def test_a_strided_tensor_whose_steps_split_numbers_is_refused():
    record = np.zeros(3, np.dtype([("mark", "u1"), ("number", "f4")]))
    with pytest.raises(WireError):
        decode(tensor_message("float32", 0, record["number"]))
