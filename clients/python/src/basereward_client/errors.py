"""What can go wrong with a reward: one class for each stable code of the server, and a few for what happens on this side.

Nothing is decided here about trying again; see `retry`.
"""

from __future__ import annotations

from typing import ClassVar, Optional


class BaserewardError(Exception):
    """A reward that could not be had. `code` is its stable name."""

    code: str = "error"


class UnusableRequest(BaserewardError):
    """The request cannot be written: a picture that cannot be read, or a value that JSON does not know. Nothing was sent."""

    code = "unusable_request"


class NoReply(BaserewardError):
    """The server could not be reached, or the connection ended before the reply."""

    code = "no_reply"


class UnexpectedReply(BaserewardError):
    """A reply that is not one of a basereward server."""

    code = "unexpected_reply"


class DifferentModel(BaserewardError):
    """A reply from another model than the first one. Rewards of different models must not be compared."""

    code = "different_model"


class TooManyFailed(BaserewardError):
    """More rewards failed than the caller accepts."""

    code = "too_many_failed"


class Refused(BaserewardError):
    """The server answered that it has no reward. Its subclasses are the stable codes of the server."""

    code = "refused"
    by_code: ClassVar[dict[str, type[Refused]]] = {}

    def __init_subclass__(cls, code: Optional[str] = None) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code
            Refused.by_code[code] = cls

    def __init__(
        self,
        message: str,
        status: int = 0,
        code: Optional[str] = None,
        param: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        # All arguments are handed on, so that an error survives the way from one process to another.
        super().__init__(message, status, code, param, retry_after)
        self.message = message
        self.status = status
        self.code = code or type(self).code
        self.param = param
        self.retry_after = retry_after

    def __str__(self) -> str:
        place = f" at `{self.param}`" if self.param else ""
        return f"{self.code} ({self.status}){place}: {self.message}"

    @classmethod
    def of(
        cls,
        message: str,
        status: int,
        code: str,
        param: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> Refused:
        """The error of a code; for a code that this version does not know, the class of its kind."""
        known = cls.by_code.get(code)
        if known is None:
            known = InvalidRequest if 400 <= status < 500 and status != 429 else ServerFault
        return known(message, status, code, param, retry_after)


class InvalidRequest(Refused, code="invalid_request"):
    """The request cannot be scored as it is; sending it again will not help."""


class InvalidImage(InvalidRequest, code="image_unusable"):
    """A picture of the request cannot be used."""


class NotAllowed(Refused):
    """The server does not do this for this caller."""


class Busy(Refused):
    """The server cannot do it now."""


class ServerFault(Refused):
    """The server failed."""


class MalformedJson(InvalidRequest, code="malformed_json"):
    """The body is not JSON."""


class BodyIncomplete(InvalidRequest, code="body_incomplete"):
    """The body ended early."""


class BodyTooLarge(InvalidRequest, code="body_too_large"):
    """The body has more bytes than the server takes."""


class BodyTooSlow(InvalidRequest, code="body_too_slow"):
    """The body did not arrive in time."""


class UnsupportedMediaType(InvalidRequest, code="unsupported_media_type"):
    """The body is not announced as JSON."""


class NotFound(InvalidRequest, code="not_found"):
    """There is no such route; the address may be that of another server."""


class MethodNotAllowed(InvalidRequest, code="method_not_allowed"):
    """The route does not know the method."""


class ModelNotFound(InvalidRequest, code="model_not_found"):
    """The server has another model than the one that was asked for."""


class NoMessages(InvalidRequest, code="no_messages"):
    """The list of messages is empty."""


class NoPrompt(InvalidRequest, code="no_prompt"):
    """There is no question."""


class PromptAndMessages(InvalidRequest, code="prompt_and_messages"):
    """There are two questions."""


class UnknownRole(InvalidRequest, code="unknown_role"):
    """A message is from nobody that the template knows."""


class EndsWithAssistant(InvalidRequest, code="ends_with_assistant"):
    """The question ends with an answer."""


class NoUserMessage(InvalidRequest, code="no_user_message"):
    """No message could hold the pictures."""


class InvalidPart(InvalidRequest, code="invalid_part"):
    """A part of a message cannot be read."""


class PictureCount(InvalidRequest, code="picture_count"):
    """Pictures and their places differ in number."""


class NoResponses(InvalidRequest, code="no_responses"):
    """There is nothing to score."""


class EmptyResponse(InvalidRequest, code="empty_response"):
    """A response says nothing."""


class ResponseRoles(InvalidRequest, code="response_roles"):
    """A response does not begin and end with the assistant."""


class TooManyResponses(InvalidRequest, code="too_many_responses"):
    """There are more responses than the server scores at a time."""


class NotTwoResponses(InvalidRequest, code="not_two_responses"):
    """A comparison was asked of other than two responses."""


class SpecialToken(InvalidRequest, code="special_token"):
    """A text has a special token in it, such as an end of turn."""


class ConversationTooLong(InvalidRequest, code="conversation_too_long"):
    """A conversation has more tokens than the model takes."""


class NotEncodable(InvalidRequest, code="not_encodable"):
    """A conversation cannot be turned into tokens."""


class TemplateRefused(InvalidRequest, code="template_refused"):
    """The chat template of the model refuses the conversation."""


class NoResponse(InvalidRequest, code="no_response"):
    """The last message, which is scored, is not from the assistant."""


class TemplateMismatch(InvalidRequest, code="template_mismatch"):
    """Rendered text is not what the chat template of the model writes."""


class UnsupportedOption(InvalidRequest, code="unsupported_option"):
    """A field of another server's protocol would change the reward in a way that this one does not."""


class InvalidPairs(InvalidRequest, code="invalid_pairs"):
    """The lists of questions and answers do not make pairs."""


class InvalidInputs(InvalidRequest, code="invalid_inputs"):
    """The inputs are neither texts nor pairs of texts."""


class UnknownTensor(InvalidRequest, code="unknown_tensor"):
    """A request names a tensor that the model does not have."""


class RepeatedTensor(InvalidRequest, code="repeated_tensor"):
    """A request names a tensor twice."""


class EqualResponses(InvalidRequest, code="equal_responses"):
    """A choice between two equal answers."""


class PictureNotInside(InvalidRequest, code="picture_not_inside"):
    """A choice whose picture is not in the request itself."""


class FeedbackOff(InvalidRequest, code="feedback_off"):
    """The server keeps no choices."""


class InvalidTimeout(InvalidRequest, code="invalid_timeout"):
    """The time that was asked for is no time."""


class InvalidDataUrl(InvalidImage, code="invalid_data_url"):
    """A data: URL cannot be read."""


class NotAnImage(InvalidImage, code="not_an_image"):
    """The bytes are no picture."""


class ImageFormatUnsupported(InvalidImage, code="image_format_unsupported"):
    """The picture has a format that the server does not read."""


class ImageTruncated(InvalidImage, code="image_truncated"):
    """The picture ends early."""


class ImageDamaged(InvalidImage, code="image_damaged"):
    """The picture is damaged."""


class ImageTooLarge(InvalidImage, code="image_too_large"):
    """The picture has too many pixels."""


class ImageTooSmall(InvalidImage, code="image_too_small"):
    """The picture would vanish."""


class ImageAspectRatio(InvalidImage, code="image_aspect_ratio"):
    """The picture is too narrow."""


class ImageUnreadable(InvalidImage, code="image_unreadable"):
    """The picture cannot be opened."""


class ImageFileTooLarge(InvalidImage, code="image_file_too_large"):
    """The file of the picture has too many bytes."""


class TooManyImages(InvalidImage, code="too_many_images"):
    """There are more pictures than the server takes."""


class TooManyImageTokens(InvalidImage, code="too_many_image_tokens"):
    """The pictures take more tokens than the server allows."""


class UrlFetchFailed(InvalidImage, code="url_fetch_failed"):
    """The picture could not be fetched."""


class NoFrames(InvalidImage, code="no_frames"):
    """A video has no frames."""


class FrameSize(InvalidImage, code="frame_size"):
    """The frames of a video differ in size."""


class FrameRate(InvalidImage, code="frame_rate"):
    """A video has no usable frame rate."""


class Unauthorized(NotAllowed, code="unauthorized"):
    """A key is needed, or it is the wrong one."""


class UrlNotAllowed(NotAllowed, code="url_not_allowed"):
    """The server fetches nothing."""


class PathNotAllowed(NotAllowed, code="path_not_allowed"):
    """The server does not read this file."""


class Overloaded(Busy, code="overloaded"):
    """The server has as many requests as it can hold."""


class ShuttingDown(Busy, code="shutting_down"):
    """The server is stopping."""


class NotReady(Busy, code="not_ready"):
    """The server scores no requests now."""


class DeadlineExceeded(Busy, code="deadline_exceeded"):
    """The reward was not ready in time."""


class FeedbackFull(ServerFault, code="feedback_full"):
    """The file of choices is as large as it may be."""


class FeedbackNotWritten(ServerFault, code="feedback_not_written"):
    """A choice could not be written."""


class Internal(ServerFault, code="internal"):
    """The server failed."""


class ModelLost(ServerFault, code="model_lost"):
    """The server has lost its model and must be started again."""


class RewardNotFinite(ServerFault, code="reward_not_finite"):
    """The model gave no number."""


class UnknownToken(ServerFault, code="unknown_token"):
    """Tokenizer and model do not belong together."""
