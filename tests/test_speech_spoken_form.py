import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwise.errors import InputError
from earwise.speech.rules.numbers import cardinal, decade, fraction, number, ordinal, year
from earwise.speech.spoken_form import FORM_VERSION, split_suffix, spoken_form

SPOKEN = {
    # left as it is
    "How many red circles are there in the picture?": "How many red circles are there in the picture?",
    "Is it a café-style, naïve sign?": "Is it a café-style, naïve sign?",
    "Isn't it the dog's ball?": "Isn't it the dog's ball?",
    # placeholders and answer-format requests
    "<image>\nIs there a dog in the image? Please answer yes or no.": "Is there a dog in the image?",
    "<image_1> What is it?\nAnswer the question using a single word or phrase.": "What is it?",
    "Is it <|image_pad|> so?": "Is it so?",
    # numbers
    "12 of 1,234,567 people": "twelve of one million two hundred thirty four thousand five hundred sixty seven people",
    "pi is 3.14, half is .5": "pi is three point one four, half is zero point five",
    "Is -5 less than 0?": "Is minus five less than zero?",
    "Agent 007": "Agent zero zero seven",
    "the 1st, 2nd, 3rd, 12th and 21st": "the first, second, third, twelfth and twenty first",
    "in 1905, 1999, 2000, 2008 and 2024": "in nineteen oh five, nineteen ninety nine, two thousand, two thousand eight "
    "and twenty twenty four",
    "the 1990s and the '80s": "the nineteen nineties and the eighties",
    "from 2019-2020, 5–10 apples": "from twenty nineteen to twenty twenty, five to ten apples",
    "in 2012-13 and 747-400": "in twenty twelve to thirteen and seven hundred forty seven four hundred",
    "$10-$20, 5-10%, 70°-80°F": "ten dollars to twenty dollars, five to ten percent, seventy degrees to eighty degrees "
    "Fahrenheit",
    "1,000s of 747s": "thousands of seven hundred forty sevens",
    "1/2, 3/4, 2/3 or 1½ cups": "one half, three quarters, two thirds or one and one half cups",
    "call 555-1234 or (212) 555-0100": "call five five five, one two three four or two one two, five five five, "
    "zero one zero zero",
    "version 1.2.3": "version one point two point three",
    "2.4M users": "two point four million users",
    "a 16:9 screen of 1920x1080": "a sixteen to nine screen of nineteen twenty by one thousand eighty",
    # percent, currency, units
    "25% or 0.5 %": "twenty five percent or zero point five percent",
    "the share (in %)": "the share, in percent",
    "It costs $3.5M": "It costs three point five million dollars",
    "It costs $3.5 million": "It costs three point five million dollars",
    "$1, $3.50, $0.99, £1.01 or 5€": "one dollar, three dollars and fifty cents, ninety nine cents, "
    "one pound and one penny or five euros",
    "¥500 and US$5": "five hundred yen and five U S dollars",
    "60 km/h or 1 mph": "sixty kilometers per hour or one mile per hour",
    "Is it 1 kg or 2.5kg?": "Is it one kilogram or two point five kilograms?",
    "-5°C and 90° and 70 °F": "minus five degrees Celsius and ninety degrees and seventy degrees Fahrenheit",
    "5 m², 3 km^2, 2 m/s": "five square meters, three square kilometers, two meters per second",
    "a 5-km run": "a five kilometer run",
    "6'2\" tall, a 5'10 man": "six feet two inches tall, a five feet ten inches man",
    "speed in km/h": "speed in kilometers per hour",
    # dates and times
    "on 10/12/2020": "on October twelfth, twenty twenty",
    "on 25/12/1999": "on December twenty fifth, nineteen ninety nine",
    "on 2020-02-03": "on February third, twenty twenty",
    "Dec. 10, 2020 or Dec 10": "December tenth, twenty twenty or December tenth",
    "10 May 2021": "the tenth of May, twenty twenty one",
    "at 7:30pm, 7:05 a.m. and 19:45": "at seven thirty P M, seven oh five A M and nineteen forty five",
    "9am-5pm": "nine A M to five P M",
    "7 pm, 12:00": "seven P M, twelve o'clock",
    # letters
    "What is BX-7431?": "What is B X seven four three one?",
    "CO2, H2O, A4, B52 and mp3": "C O two, H two O, A four, B fifty two and M P three",
    "The USA, the UK and two DVDs": "The U S A, the U K and two D V D's",
    "The U.S. army at NASA": "The U S army at nasa",
    "What does the STOP sign say?": "What does the stop sign say?",
    "WHAT IS THE COLOR OF THE US FLAG?": "what is the color of the us flag?",
    "World War II, Henry VIII, Chapter IV": "World War two, Henry the eighth, Chapter four",
    "the IV bag": "the IV bag",
    "e.g. Mr. Smith vs. Dr. Who": "for example Mister Smith versus Doctor Who",
    "No. 5 is β": "number five is beta",
    # symbols
    "R&D @ home, #1 #love": "R and D at home, number one hashtag love",
    "2+2=4, 2 * 3, 2 × 3": "two plus two equals four, two times three, two by three",
    "Is a c++ code shown?": "Is a c plus plus code shown?",
    "red/blue and/or green": "red slash blue and or green",
    'the word "OPEN" (in red) …': "the word open, in red.",
    "Is the ____ red — or not?": "Is the blank red, or not?",
    "about ~5 of example.com": "about five of example dot com",
    # options
    "Which? (A) red (B) blue": "Which? Option A: red. Option B: blue.",
    "Which?\nA. red\nB. blue\nC. 2 cats": "Which? Option A: red. Option B: blue. Option C: two cats.",
    "Which?\nOptions:\nA: red\nB: blue": "Which? Option A: red. Option B: blue.",
    "Which one is it, A) red or B) blue": "Which one is it. Option A: red. Option B: blue.",
    "Is (A) larger than (B)?": "Is A larger than B?",
    "Is it at point (C)?": "Is it at point C?",
    "First line\nSecond line": "First line. Second line",
    "one line\nbroken": "one line broken",
}


@pytest.mark.parametrize(("text", "expected"), SPOKEN.items())
def test_text_is_spoken(text, expected):
    form = spoken_form(text)
    assert (form.text, form.unspeakable) == (expected, None)
    assert form.version == FORM_VERSION


MINUS = {
    "What is 10 - 4?": "What is ten minus four?",
    "What is 10-4 in total?": "What is ten minus four in total?",
    "What is 4 - 10?": "What is four minus ten?",
    "Is it 4-10 = -6?": "Is it four minus ten equals minus six?",
    "Compute 20-5+2": "Compute twenty minus five plus two",
    "Is 20-5 enough?": "Is twenty minus five enough?",
    "What is 8 − 5 or 5 − 8?": "What is eight minus five or five minus eight?",
    "Is it 100 - 25% or 90%-25%?": "Is it one hundred minus twenty five percent or ninety percent minus twenty five "
    "percent?",
    "Is $20 - $3 or 20€-3€ enough?": "Is twenty dollars minus three dollars or twenty euros minus three euros enough?",
    "Is $-5 or -$5 owed?": "Is minus five dollars or minus five dollars owed?",
    "Is -3 - 2 = -5?": "Is minus three minus two equals minus five?",
    "Is it 3 - -2, 3--2 or 3+-2?": "Is it three minus minus two, three minus minus two or three plus minus two?",
    "Is it 5-(-2) or (3+4)-2?": "Is it five minus, minus two, or, three plus four, minus two?",
    "What is x - 1, n-1 or 2n-1?": "What is x minus one, n minus one or two N minus one?",
    "Is y=-x or -x + 1?": "Is y equals minus x or minus x plus one?",
    "Is it ½ - ¼ or 1/2-1/4?": "Is it one half minus one quarter or one half minus one quarter?",
    "Is it 5 km - 3 km?": "Is it five kilometers minus three kilometers?",
    "grade A- or B+, blood type O-": "grade A minus or B plus, blood type O minus",
    # hyphens that are no minus
    "in 2019 - 2020, 5 - 10 apples": "in twenty nineteen to twenty twenty, five to ten apples",
    "a score of 3-2": "a score of three to two",
    "a Boeing 747-8": "a Boeing seven hundred forty seven eight",
    "an F-16 in the x-y plane": "an F sixteen in the x-y plane",
    "from 20:30-21:30": "from twenty thirty to twenty one thirty",
    "on 2020-01-02 or 12-25-2020": "on January second, twenty twenty or December twenty fifth, twenty twenty",
    # powers of ten, sharps, division, comparison, files
    "Is the scale 1e-3?": "Is the scale one times ten to the minus three?",
    "2.5E+10 or 2e3": "two point five times ten to the ten or two times ten to the three",
    "Is it C# or F#?": "Is it C sharp or F sharp?",
    "What is 6 / 2, 7/2 or x/2?": "What is six divided by two, seven over two or x over two?",
    "What is $x$ in $y = x$?": "What is x in y equals x?",
    "if x<5 and y >= 3": "if x less than five and y greater than or equal to three",
    "a*b, f(x) and 5‰": "a times b, f of x and five per mille",
    "Is it .NET or node.js?": "Is it dot net or node dot js?",
    "/usr/bin has main.py": "slash usr slash bin has main dot py",
    "about ~5 km at 5ºC": "about five kilometers at five degrees Celsius",
    # tags: placeholders at the edges go, numbered ones inside are said
    "<image> <image> Which is larger?": "Which is larger?",
    "What color is it?\n<image>": "What color is it?",
    "Is the dog in <image 2> larger?": "Is the dog in image two larger?",
}


@pytest.mark.parametrize(("text", "expected"), MINUS.items())
def test_signs_are_not_lost(text, expected):
    form = spoken_form(text)
    assert (form.text, form.unspeakable) == (expected, None)
    assert spoken_form(form.text).text == form.text


UNSPEAKABLE = {
    "What does the <video> element do in HTML?": "holds the tag <video>",
    "What is the difference between <audio> and <video>?": "holds the tag <audio>",
    "<video> or <audio>, which is right?": "holds the tag <video>",
    "What is 5 <images and videos> 3?": "holds the tag <images and videos>",
    '<img src="a.png"> is what?': "holds the tag <img",
    "Is it 10⁻³?": "formula",
    "What is 2**3?": "formula",
    "": "empty text",
    " \n": "empty text",
    "<image>": "empty text",
    "?!": "no word",
    "这是什么?": "not in Latin script: '这'",
    "Что это?": "not in Latin script",
    "What is x^2?": "formula",
    "Solve $\\frac{1}{2}$": "formula",
    "the sum ∑ of y_1": "formula",
    "see https://example.com/a": "URL",
    "see www.example.com": "URL",
    "mail me@example.com": "e-mail",
    "What is a[0]?": "program code",
    "print() it": "program code",
    "print('a') it": "program code",
    "the number 123456789": "string of 9 digits, more than 8",
    "is it a 😀?": "GRINNING FACE",
}


@pytest.mark.parametrize(("text", "reason"), UNSPEAKABLE.items())
def test_what_cannot_be_spoken_says_why(text, reason):
    form = spoken_form(text)
    assert form.text == ""
    assert reason in str(form.unspeakable)


def test_eight_digits_are_still_spoken():
    assert spoken_form("12345678").text.startswith("twelve million three hundred forty five thousand")


def test_choices_become_options_with_pauses_and_lose_their_own_marks():
    form = spoken_form("Which is right", ["A. the dog chases 2 cats", "(B) $5", "C"])
    expected = "Which is right. Option A: the dog chases two cats. Option B: five dollars. Option C: C."
    assert form.text == expected


def test_an_unspeakable_option_is_named():
    assert spoken_form("Which?", ["red", "x^2"]).unspeakable == "option 2: holds a formula"


def test_an_empty_option_is_refused():
    assert spoken_form("Which?", ["red", ""]).unspeakable == "option 2: empty text"


def test_more_options_than_letters_are_an_input_error():
    with pytest.raises(InputError, match="27 options"):
        spoken_form("Which?", ["x"] * 27)


def test_a_suffix_is_spoken_only_where_asked():
    question, suffix = split_suffix("Is it red? Please answer yes or no.")
    assert spoken_form(question).text == "Is it red?"
    assert spoken_form(question, suffix=suffix).text == "Is it red? Please answer yes or no."
    with_options = spoken_form("Which?", ["red", "blue"], suffix="\nAnswer with the option's letter.").text
    assert with_options == "Which? Option A: red. Option B: blue. Answer with the option's letter."


@pytest.mark.parametrize("piece", [" ", "\n", "1,", "A. ", "(", "1-", "a", "1/2 ", "<image ", "<image> ", " - 1"])
def test_long_texts_do_not_blow_up(piece):
    start = time.process_time()
    spoken_form("x" + piece * 5_000 + "b")
    assert time.process_time() - start < 2.0


def test_numbers_in_words():
    assert cardinal(10**15 - 1).startswith("nine hundred ninety nine trillion")
    assert [cardinal(value) for value in (0, 13, 40, 100, 1001, -7)] == [
        "zero",
        "thirteen",
        "forty",
        "one hundred",
        "one thousand one",
        "minus seven",
    ]
    assert [ordinal(value) for value in (1, 5, 8, 9, 12, 20, 100)] == [
        "first",
        "fifth",
        "eighth",
        "ninth",
        "twelfth",
        "twentieth",
        "one hundredth",
    ]
    assert [year(value) for value in (1100, 1900, 2000, 2010)] == [
        "eleven hundred",
        "nineteen hundred",
        "two thousand",
        "twenty ten",
    ]
    assert [decade(value) for value in (2000, 1900, 20)] == ["two thousands", "nineteen hundreds", "twenties"]
    assert [fraction(*pair) for pair in ((3, 2), (1, 4), (5, 8))] == ["three halves", "one quarter", "five eighths"]
    assert number("1" * 17) == " ".join(["one"] * 17)


def test_beyond_the_trillions_is_refused_by_cardinal():
    with pytest.raises(ValueError, match="beyond the trillions"):
        cardinal(10**15)


_MARKS = "A B I (A) (B) A. B. C) U.S. pm a.m. & # + = / - -- ' \" ( ) , . ? ! : ; Option A: ° × ~ oh 's STOP"
_PIECES = st.sampled_from([*SPOKEN, *_MARKS.split()])
_PATCHWORK = st.lists(st.tuples(_PIECES, st.sampled_from(["", " ", "\n"])), max_size=5).map(
    lambda pairs: "".join(piece + gap for piece, gap in pairs)
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(_PATCHWORK, st.text(alphabet=st.characters(max_codepoint=0x24F), max_size=30), st.text(max_size=12)))
def test_the_spoken_form_of_a_spoken_form_is_itself(text):
    form = spoken_form(text)
    assert (form.text == "") == (form.unspeakable is not None)
    if form.text:
        assert spoken_form(form.text).text == form.text
        assert not any(char.isdigit() for char in form.text)
